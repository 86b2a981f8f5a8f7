"""Who pulled what, and when: read out of access logs and notifications. No files in here, only lines and values."""
