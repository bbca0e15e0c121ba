// SPDX-License-Identifier: GPL-2.0

//! What of the tree is shown, and in which order: what the keys change.

use std::cmp::Reverse;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::commands::top::tree::Node;

/// By what siblings are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Total,
    Vram,
    Gtt,
    Cpu,
    Buffers,
    Name,
}

impl Sort {
    const ALL: [Self; 6] = [
        Self::Total,
        Self::Vram,
        Self::Gtt,
        Self::Cpu,
        Self::Buffers,
        Self::Name,
    ];

    /// The heading of the column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Total => "Total",
            Self::Vram => "VRAM",
            Self::Gtt => "GTT",
            Self::Cpu => "CPU",
            Self::Buffers => "Buffers",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|&sort| sort == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// The largest first, and names in their order.
    fn key(self, node: &Node) -> (Reverse<u64>, &str) {
        let size = match self {
            Self::Total => node.total(),
            Self::Vram => node.vram,
            Self::Gtt => node.gtt,
            Self::Cpu => node.cpu,
            Self::Buffers => node.buffers,
            Self::Name => 0,
        };
        (Reverse(size), &node.name)
    }
}

/// How deep the tree is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    Cgroups,
    #[default]
    Processes,
    Clients,
}

/// What the keys have chosen.
#[derive(Debug, Default)]
pub struct View {
    pub sort: Sort,
    pub depth: Depth,
    /// Only what has this in its name is shown, with all above and below it.
    pub filter: String,
    /// Whether keys are letters of the filter.
    pub is_editing: bool,
    pub is_help: bool,
    /// How many lines are above those that are shown.
    pub first: usize,
}

/// A line of the tree.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub depth: usize,
    pub node: &'a Node,
}

/// How many lines the keys for pages go.
const PAGE: usize = 10;

impl View {
    /// Does what a key is for. Returns whether it ends the program.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        if key.modifiers == KeyModifiers::CONTROL {
            return key.code == KeyCode::Char('c');
        }
        if self.is_editing {
            self.edit(key.code);
            return false;
        }
        let was_help = std::mem::take(&mut self.is_help);
        match key.code {
            KeyCode::Char('q' | 'Q') => return true,
            KeyCode::Char('h' | '?') | KeyCode::F(1) => self.is_help = !was_help,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('t') => {
                self.depth = match self.depth {
                    Depth::Cgroups => Depth::Processes,
                    Depth::Processes => Depth::Clients,
                    Depth::Clients => Depth::Cgroups,
                }
            }
            KeyCode::Char('/') => self.is_editing = true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Down | KeyCode::Char('j') => self.first += 1,
            KeyCode::Up | KeyCode::Char('k') => self.first = self.first.saturating_sub(1),
            KeyCode::PageDown => self.first += PAGE,
            KeyCode::PageUp => self.first = self.first.saturating_sub(PAGE),
            KeyCode::Home => self.first = 0,
            _ => {}
        }
        false
    }

    fn edit(&mut self, key: KeyCode) {
        match key {
            KeyCode::Char(letter) => self.filter.push(letter),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Esc => {
                self.filter.clear();
                self.is_editing = false;
            }
            KeyCode::Enter => self.is_editing = false,
            _ => return,
        }
        self.first = 0;
    }

    /// The lines that are shown where there is room for so many. Keys may have gone past the last.
    pub fn lines<'a>(&mut self, nodes: &'a [Node], room: usize) -> Vec<Line<'a>> {
        let mut lines = Vec::new();
        self.add(nodes, 0, false, &mut lines);
        self.first = self.first.min(lines.len().saturating_sub(room));
        lines.drain(..self.first);
        lines.truncate(room);
        lines
    }

    fn add<'a>(&self, nodes: &'a [Node], depth: usize, is_found: bool, lines: &mut Vec<Line<'a>>) {
        let mut nodes: Vec<_> = nodes.iter().collect();
        nodes.sort_by_key(|node| self.sort.key(node));
        for node in nodes {
            let is_found = is_found || self.has(node);
            if !is_found && !self.is_below(node) {
                continue;
            }
            lines.push(Line { depth, node });
            if depth < self.depth as usize {
                self.add(&node.children, depth + 1, is_found, lines);
            }
        }
    }

    fn has(&self, node: &Node) -> bool {
        let name = node.name.to_lowercase();
        name.contains(&self.filter.to_lowercase())
    }

    fn is_below(&self, node: &Node) -> bool {
        let mut children = node.children.iter();
        children.any(|child| self.has(child) || self.is_below(child))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, vram: u64, children: Vec<Node>) -> Node {
        Node {
            name: name.into(),
            buffers: 1,
            vram,
            children,
            ..Default::default()
        }
    }

    fn nodes() -> Vec<Node> {
        vec![
            node(
                "/a",
                1,
                vec![node("game (1)", 1, vec![node("client 1", 1, vec![])])],
            ),
            node(
                "/b",
                5,
                vec![
                    node("Editor (2)", 2, vec![]),
                    node("browser (3)", 3, vec![]),
                ],
            ),
        ]
    }

    fn names(view: &mut View, nodes: &[Node], room: usize) -> Vec<String> {
        let lines = view.lines(nodes, room);
        let name = |line: &Line<'_>| " ".repeat(line.depth) + &line.node.name;
        lines.iter().map(name).collect()
    }

    fn press(view: &mut View, keys: &str) -> bool {
        keys.chars().fold(false, |_, letter| {
            let code = match letter {
                '\n' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                '\x08' => KeyCode::Backspace,
                '>' => KeyCode::PageDown,
                letter => KeyCode::Char(letter),
            };
            view.key(KeyEvent::new(code, KeyModifiers::NONE))
        })
    }

    #[test]
    fn the_largest_comes_first_or_the_first_name() {
        let (mut view, nodes) = (View::default(), nodes());
        assert_eq!(
            names(&mut view, &nodes, 9),
            ["/b", " browser (3)", " Editor (2)", "/a", " game (1)"]
        );
        press(&mut view, "sssss");
        assert_eq!(view.sort, Sort::Name);
        assert_eq!(names(&mut view, &nodes, 9)[..2], ["/a", " game (1)"]);
        press(&mut view, "s");
        assert_eq!(view.sort, Sort::Total);
    }

    #[test]
    fn the_tree_is_as_deep_as_wanted() {
        let (mut view, nodes) = (View::default(), nodes());
        press(&mut view, "t");
        assert_eq!(names(&mut view, &nodes, 9)[5], "  client 1");
        press(&mut view, "t");
        assert_eq!(names(&mut view, &nodes, 9), ["/b", "/a"]);
    }

    #[test]
    fn a_filter_keeps_what_is_above_and_below() {
        let (mut view, nodes) = (View::default(), nodes());
        assert!(!press(&mut view, "/EDITq\x08"));
        assert!(view.is_editing);
        assert_eq!(names(&mut view, &nodes, 9), ["/b", " Editor (2)"]);
        press(&mut view, "\n");
        assert!(press(&mut view, "q"));
        press(&mut view, "\x1b/a\n");
        assert_eq!(names(&mut view, &nodes, 9), ["/a", " game (1)"]);
        press(&mut view, "/\x1b");
        assert_eq!(names(&mut view, &nodes, 9).len(), 5);
    }

    #[test]
    fn keys_do_not_go_past_the_end() {
        let (mut view, nodes) = (View::default(), nodes());
        press(&mut view, ">>j");
        assert_eq!(names(&mut view, &nodes, 2), ["/a", " game (1)"]);
        press(&mut view, "k");
        assert_eq!(names(&mut view, &nodes, 2), [" Editor (2)", "/a"]);
    }

    #[test]
    fn any_key_ends_the_help() {
        let mut view = View::default();
        press(&mut view, "?");
        assert!(view.is_help);
        press(&mut view, "?");
        assert!(!view.is_help);
        press(&mut view, "hx");
        assert!(!view.is_help);
        let end = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(view.key(end));
    }
}
