"""Settings: everything a user can choose, read once from the environment or ``.env``."""

from app.config.errors import InvalidSetting
from app.config.settings import Settings, conflicts, read

__all__ = ["InvalidSetting", "Settings", "conflicts", "read"]
