"""What happens by itself: long-running processes, each restarted by a supervisor."""
