//! A report as JUnit XML, as CI systems read it.

use super::{Report, Verdict};
use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

/// The report as XML; characters that XML cannot hold are left out.
///
/// # Errors
/// What the writer says; none is known for a report that is built here.
pub fn xml(report: &Report) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new(report.device.dut.clone());
    for row in &report.rows {
        let told = row.verdict.details().join("\n");
        let mut status = match row.verdict {
            Verdict::Holds | Verdict::Waived(_) => TestCaseStatus::success(),
            Verdict::Skipped(_) => TestCaseStatus::skipped(),
            Verdict::Fails(_) | Verdict::Unexpected(_) => TestCaseStatus::non_success(NonSuccessKind::Failure),
            Verdict::Ended(_) => TestCaseStatus::non_success(NonSuccessKind::Error),
        };
        if !matches!(row.verdict, Verdict::Holds | Verdict::Waived(_)) {
            status.set_message(told.clone());
        }
        let mut case = TestCase::new(row.case.id, status);
        case.set_classname(row.case.clauses.join(" "));
        case.set_time(row.took);
        if matches!(row.verdict, Verdict::Waived(_)) {
            case.set_system_out(format!("waived\n{told}"));
        }
        suite.add_test_case(case);
    }
    let mut document = Document::new("vnic conform");
    document.add_test_suite(suite);
    document.to_string()
}
