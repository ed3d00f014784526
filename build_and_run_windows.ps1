<#
.SYNOPSIS
Build the container image and run the server in it, on http://127.0.0.1:8000.

.DESCRIPTION
Settings come from the environment or .env, as for ./run.sh; of them the container gets all but HOST
and PORT, which say where it is published, and paths of this machine. HOST_MODEL_DIR is a model's
folder on this machine; DATABASE_URL counts where it names PostgreSQL.
#>
$ErrorActionPreference = 'Stop'
Set-Location $PSScriptRoot

$Name = 'fastapi-sllm-api'
$Model = '/models/HyperCLOVAX-SEED-Vision-Instruct-3B'
$Stays = 'HOST', 'PORT', 'LLM_HOST', 'LLM_PORT', 'MODELS_DIR', 'LOCAL_MODELS_DIR', 'LLM_MODELS_DIR', 'PROMPTS_DIR',
    'DATABASE_URL', 'SLLM_MODEL_PATH', 'VISION_MODEL_PATH', 'MODEL_PATH', 'HOST_MODEL_DIR'
$Line = '^\s*(?:export )?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$'

function Stop-WithSentence([string] $Sentence) {
    [Console]::Error.WriteLine($Sentence)
    exit 1
}

function Assert-Docker {
    if (-not (Get-Command docker -ErrorAction SilentlyContinue)) {
        Stop-WithSentence 'Docker is not installed: https://docs.docker.com/desktop/setup/install/windows-install'
    }
    # By cmd: Windows PowerShell 5 takes what a program writes to its errors for an exception.
    cmd /c 'docker info >nul 2>&1'
    if ($LASTEXITCODE -ne 0) {
        Stop-WithSentence 'Docker is installed but does not answer: start Docker Desktop and wait until it runs.'
    }
}

function Read-File([string] $Path) {
    $found = @{}
    if (Test-Path $Path) {
        foreach ($text in Get-Content $Path -Encoding UTF8) {
            if ($text -match $Line) {
                $key = $Matches[1]
                $value = $Matches[2]
                if ($value -match '^"([^"]*)"' -or $value -match "^'([^']*)'") {
                    $value = $Matches[1]
                } else {
                    $value = $value -replace '\s#.*$', ''
                }
                $found[$key] = $value
            }
        }
    }
    return $found
}

$Given = Read-File '.env'
$Known = Read-File '.env.example'

function Get-Setting([string] $Key, [string] $Default = '') {
    $value = [Environment]::GetEnvironmentVariable($Key)
    if (-not $value) { $value = $Given[$Key] }
    if (-not $value) { $value = $Default }
    return $value
}

function Assert-SafeAddress([string] $Address) {
    if ($Address -like '127.*' -or $Address -eq '::1') { return }
    if (-not (Get-Setting 'API_KEYS') -and (Get-Setting 'ALLOW_OPEN_BIND') -ne 'true') {
        Stop-WithSentence ("$Address can be reached from other machines and there is no API key. " +
            'Set API_KEYS=<a long secret>, or HOST=127.0.0.1, ' +
            'or ALLOW_OPEN_BIND=true if this network may use the server freely.')
    }
}

function Get-Extras([string] $Folder) {
    if ($env:EXTRAS) { return $env:EXTRAS }
    if ($Folder -and (Test-Path "$Folder/config.json") -and (Test-Path "$Folder/*.safetensors")) { return 'pytorch' }
    return ''
}

$Folder = Get-Setting 'HOST_MODEL_DIR'
$Address = Get-Setting 'HOST' (Get-Setting 'LLM_HOST' '127.0.0.1')
$Port = Get-Setting 'PORT' (Get-Setting 'LLM_PORT' '8000')
if ($Address -eq 'localhost') { $Address = '127.0.0.1' }
$Shown = if ($Address.Contains(':')) { "[$Address]" } else { $Address }
Assert-SafeAddress $Address
if ($Folder -and -not (Test-Path $Folder -PathType Container)) {
    Stop-WithSentence "HOST_MODEL_DIR=$Folder is not a folder."
}
Assert-Docker

$Options = @()
foreach ($key in @($Given.Keys) + @($Known.Keys) | Sort-Object -Unique) {
    $value = Get-Setting $key
    if ($value -and $Stays -notcontains $key) {
        # Through the environment, so that no secret is on a command line.
        [Environment]::SetEnvironmentVariable($key, $value)
        $Options += '--env', $key
    }
}
$Database = Get-Setting 'DATABASE_URL'
if ($Database -like 'postgresql*') {
    [Environment]::SetEnvironmentVariable('DATABASE_URL', $Database)
    $Options += '--env', 'DATABASE_URL'
}
if ((Get-Setting 'USE_GPU') -eq 'true') { $Options += '--gpus', 'all' }
if ($Folder) {
    $Options += '--volume', "$((Resolve-Path $Folder).Path):${Model}:ro", '--env', "MODEL_PATH=$Model"
}

# CMAKE_ARGS=: compiled for the processor of this machine, where it also runs.
$Arguments = @('--build-arg', 'CMAKE_ARGS=', '--build-arg', "EXTRAS=$(Get-Extras $Folder)")
if ($env:BASE) { $Arguments += '--build-arg', "BASE=$env:BASE" }
docker build -f docker/Dockerfile -t $Name @Arguments .
if ($LASTEXITCODE -ne 0) { Stop-WithSentence 'The image could not be built: the reason is above.' }
# A container of an earlier run is replaced; there is none the first time.
cmd /c "docker stop -t 30 $Name >nul 2>&1 & docker rm $Name >nul 2>&1"
docker run --detach --name $Name --restart unless-stopped --stop-timeout 30 `
    --publish "${Shown}:${Port}:8000" --env ALLOW_OPEN_BIND=true `
    --volume "$Name-data:/data" --volume "$Name-models:/models" @Options `
    --init --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges $Name > $null
if ($LASTEXITCODE -ne 0) { Stop-WithSentence 'The container could not be started: the reason is above.' }
Write-Output "The server starts at http://${Shown}:${Port} (docker logs -f $Name; docker stop $Name)."
