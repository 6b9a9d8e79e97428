//! What certdoctor says of an nginx configuration, and what the real nginx does with it.

mod common;
#[path = "support/score.rs"]
mod score;
#[path = "support/nginx.rs"]
mod site;

#[path = "nginx/answers.rs"]
mod answers;
#[path = "nginx/live.rs"]
mod live;
#[path = "nginx/pairs.rs"]
mod pairs;
