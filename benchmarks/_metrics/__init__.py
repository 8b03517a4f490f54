"""Pure metrics shared by tasks."""
