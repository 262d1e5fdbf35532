"""DICOM series and studies as volumes."""
