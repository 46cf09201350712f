"""What runs: doors, caches, follower, supervisor, embedded servers, command line."""
