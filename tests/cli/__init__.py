"""The command, run as a child process."""
