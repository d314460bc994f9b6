//! `demo`
mod life;
mod model;
mod objects;
