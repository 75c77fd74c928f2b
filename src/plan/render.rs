//! A plan as text.

use super::Plan;

pub fn render(plan: &Plan) -> String {
    let _ = plan;
    String::new()
}
