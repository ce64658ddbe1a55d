"""Reports as HTML pages that open from disk.

blind_test_page.py  page of a blind test
compare_page.py     page of vsr compare
html.py             a document that fetches nothing, and the slider
preview_page.py     page of vsr preview
svg_chart.py        curves and histograms as SVG
"""
