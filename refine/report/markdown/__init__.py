"""Reports as markdown, or as one HTML file: lists of pages, figures and folded sections.

Reports read no clock and compute nothing: equal inputs give equal bytes. Links are relative, so a report
renders in any folder.
"""
