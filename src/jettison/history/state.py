"""Where this user's state is: the history and the locks."""

from pathlib import Path

import platformdirs


def state_folder() -> Path:
    """Return `$XDG_STATE_HOME/jettison`, on Linux `~/.local/state/jettison` by default. It may not exist yet."""
    return platformdirs.user_state_path("jettison")
