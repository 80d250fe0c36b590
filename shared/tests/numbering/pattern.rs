//! Texts that fit a pattern, made at random: of regular expressions, what the rules for numbers are written in.

use std::iter::Peekable;
use std::str::Chars;

use fastrand::Rng;

/// A pattern of digits, classes, groups, alternatives and counted repetitions.
pub struct Pattern(Vec<Vec<Repeated>>);

struct Repeated {
    part: PatternPart,
    least: usize,
    most: usize,
}

enum PatternPart {
    /// One of these digits.
    Digit(Vec<char>),
    Group(Pattern),
}

impl Pattern {
    /// Reads a pattern. Panics at anything that no rule for numbers has.
    pub fn new(text: &str) -> Self {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut chars = text.chars().peekable();
        let pattern = Self::read(&mut chars);
        assert_eq!(chars.next(), None, "{text}");
        pattern
    }

    fn read(chars: &mut Peekable<Chars>) -> Self {
        let mut alternatives = vec![vec![]];
        while let Some(&c) = chars.peek() {
            if c == ')' {
                break;
            }
            chars.next();
            if c == '|' {
                alternatives.push(vec![]);
                continue;
            }
            let part = match c {
                '(' => {
                    assert_eq!((chars.next(), chars.next()), (Some('?'), Some(':')));
                    let group = Self::read(chars);
                    assert_eq!(chars.next(), Some(')'));
                    PatternPart::Group(group)
                }
                '[' => PatternPart::Digit(class(chars)),
                '\\' => {
                    assert_eq!(chars.next(), Some('d'));
                    PatternPart::Digit(('0'..='9').collect())
                }
                '0'..='9' => PatternPart::Digit(vec![c]),
                other => panic!("{other} is in no rule"),
            };
            let (least, most) = repetition(chars);
            alternatives.last_mut().unwrap().push(Repeated { part, least, most });
        }
        Self(alternatives)
    }

    /// A text that fits.
    pub fn sample(&self, random: &mut Rng) -> String {
        let mut text = String::new();
        self.add_sample(random, &mut text);
        text
    }

    fn add_sample(&self, random: &mut Rng, text: &mut String) {
        for Repeated { part, least, most } in random.choice(&self.0).unwrap() {
            for _ in 0..random.usize(*least..=*most) {
                match part {
                    PatternPart::Digit(digits) => text.push(*random.choice(digits).unwrap()),
                    PatternPart::Group(pattern) => pattern.add_sample(random, text),
                }
            }
        }
    }
}

fn class(chars: &mut Peekable<Chars>) -> Vec<char> {
    let mut digits = vec![];
    loop {
        match chars.next().unwrap() {
            ']' => return digits,
            '-' => {
                let (first, last): (char, char) = (*digits.last().unwrap(), chars.next().unwrap());
                digits.extend((first..=last).skip(1));
            }
            digit => digits.push(digit),
        }
    }
}

/// The bounds of a repetition, both included.
fn repetition(chars: &mut Peekable<Chars>) -> (usize, usize) {
    if chars.next_if_eq(&'?').is_some() {
        return (0, 1);
    }
    if chars.next_if_eq(&'{').is_none() {
        return (1, 1);
    }
    let counts: String = chars.take_while(|c| *c != '}').collect();
    let (least, most) = counts.split_once(',').unwrap_or((&counts, &counts));
    (least.parse().unwrap(), most.parse().unwrap())
}
