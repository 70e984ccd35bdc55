"""The report: metrics, plot tables and the HTML page.

page.py              reads, writes and renders: `write_report`
inputs.py            what the other stages left: paths, readers, checks
results.py           rows that several sections share
section.py           what a section is
sections/            one module for each section: what it computes and draws; the list of them is the order of
                     the page. A new plot is a new module and one entry of that list
templates/sections/  one template for each section: its text and tables; figures.html serves plain figures
drawing.py           the canvas and the style of the static figures
example_patterns.py  patterns of a few samples, read from the line lists
formatting.py        names, numbers and orders
"""
