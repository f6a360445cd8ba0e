"""What people hold: a tree and its rounds, and how they come in and go out."""
