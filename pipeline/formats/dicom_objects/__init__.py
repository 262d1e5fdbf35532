"""DICOM objects about an image series: segmentations, reports and contours, their codes, and the
series that they refer to.
"""
