"""What people look at: pages rendered here, without script and without anything from elsewhere."""
