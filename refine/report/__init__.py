"""What results look like: pages, figures and files. Computes nothing."""
