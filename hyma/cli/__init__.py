"""The command ``hyma``: a file a command in ``commands``. Nothing imports it, but for how the stages end (`ending`)."""
