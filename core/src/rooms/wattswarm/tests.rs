//! The room with a scripted world around it.
