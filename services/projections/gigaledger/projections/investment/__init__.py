"""Investment: committed, entitled, called, funded, issued, remaining."""
