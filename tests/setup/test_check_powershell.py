"""What ``./run.sh check`` finds in PowerShell scripts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.setup.project import ROOT

SOUND = """param([string]$Name = "sllm")
function Stop-WithMessage([string]$Message) {
    if ($Message) { Write-Error "$Message ($Name)" }
    exit 1
}
$ports = @{ "8000/tcp" = 8000 }
docker run -p "127.0.0.1:$($ports["8000/tcp"]):8000" $Name
if ($LASTEXITCODE -ne 0) { Stop-WithMessage "docker failed" }
"""


def checked(*files: Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts" / "check_powershell.py"
    command = [sys.executable, str(script), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_sound_script(tmp_path: Path) -> None:
    (tmp_path / "sound.ps1").write_text(SOUND)
    done = checked(tmp_path / "sound.ps1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_broken_scripts(tmp_path: Path) -> None:
    no_brace, one_too_many = tmp_path / "a.ps1", tmp_path / "b.ps1"
    no_brace.write_text(SOUND.replace("    exit 1\n}", "    exit 1"))
    one_too_many.write_text(SOUND.replace("-ne 0)", "-ne 0))"))
    done = checked(no_brace, one_too_many)
    missing, unexpected = done.stdout.splitlines()
    assert done.returncode == 1
    assert missing.startswith(f"{no_brace}:")
    assert "} is missing" in missing
    assert unexpected == f"{one_too_many}:8: unexpected ')'"
