"""Running jettison by the clock: cron expressions, crontab lines and systemd timers."""
