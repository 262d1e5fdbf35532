"""Values for the templates of the report; `report.report_page` writes the page."""
