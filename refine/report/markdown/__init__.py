"""Reports as markdown, or as one HTML file: lists of pages, figures and folded sections.

They read no clock and compute nothing: equal facts give equal bytes. Links are relative, so a report renders wherever its folder lies.
"""
