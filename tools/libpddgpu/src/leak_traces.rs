// SPDX-License-Identifier: GPL-2.0

//! The stack traces of leaks. The driver lists them in debugfs, which only root may read, and saves
//! them if `pddgpu_leak_traces` there is 1.

use std::fs;

use crate::{
    card::Card,
    error::{Error, Result},
    gem_list,
    statistics::leaks::LeakState,
};

/// A suspected or confirmed leak, and where it was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedLeak {
    /// A number that no other buffer of the card has had.
    pub id: u64,
    /// Bytes.
    pub size: u64,
    /// Time since the buffer was created, in ms.
    pub age_ms: u64,
    /// How sure the driver is.
    pub state: LeakState,
    /// Functions of the kernel, the innermost first. None if no trace was saved.
    pub stack: Vec<String>,
}

/// Reads all leaks of a card.
pub fn read(card: &Card) -> Result<Vec<TracedLeak>> {
    let path = gem_list::debugfs_dir(card)?.join("pddgpu_leaks");
    let text = fs::read_to_string(&path).map_err(Error::from_file(path))?;
    Ok(parse(&text))
}

/// Reads the text of the file.
pub fn parse(text: &str) -> Vec<TracedLeak> {
    let mut leaks: Vec<TracedLeak> = Vec::new();
    for line in text.lines() {
        if let Some(leak) = parse_leak(line) {
            leaks.push(leak);
        } else if let (Some(leak), Some(function)) = (leaks.last_mut(), parse_function(line)) {
            leak.stack.push(function.to_owned());
        }
    }
    leaks
}

fn parse_leak(line: &str) -> Option<TracedLeak> {
    let mut words = line.split_whitespace();
    let mut number = || words.next()?.parse().ok();
    let (id, size, age_ms) = (number()?, number()?, number()?);
    let state = match words.next()? {
        "suspected" => LeakState::Suspected,
        "confirmed" => LeakState::Confirmed,
        _ => return None,
    };
    Some(TracedLeak {
        id,
        size,
        age_ms,
        state,
        stack: Vec::new(),
    })
}

/// A line such as ` drm_ioctl+0x28f/0x520 [drm]`.
fn parse_function(line: &str) -> Option<&str> {
    let function = line.strip_prefix(' ')?.trim();
    let (_, rest) = function.split_once("+0x")?;
    rest.contains("/0x").then_some(function)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaks_have_the_stacks_that_follow_them() {
        let text = "\
1 suspected, 1 confirmed

pid 126 command a +0x1/0x2: 8192 bytes in 2 buffers
        id           size       age_ms state     placement domains        client why
         1           4096          149 confirmed VRAM      VRAM                2 handles 1
         pddgpu_gem_create+0x1/0x20 [pddgpu]
         drm_ioctl+0x28f/0x520 [drm]
         2           4096           49 suspected VRAM      VRAM                2 handles 1
";
        let leaks = parse(text);
        assert_eq!(leaks.len(), 2);
        assert_eq!((leaks[0].id, leaks[0].age_ms), (1, 149));
        assert_eq!(leaks[0].stack[1], "drm_ioctl+0x28f/0x520 [drm]");
        assert_eq!(leaks[1].state, LeakState::Suspected);
        assert!(leaks[1].stack.is_empty());
    }
}
