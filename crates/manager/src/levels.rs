//! In which order components are locked and restored: by what they depend on.

use stillpoint_core::{Error, ErrorKind, Result};

/// Sorts what depends on each other into levels: all of a level depend only on earlier ones.
///
/// # Errors
/// [`ErrorKind::Invalid`] naming who depends on nobody's name, or the circle.
pub(crate) fn levels(names: &[(&str, &[String])]) -> Result<Vec<Vec<usize>>> {
    let index = |name: &str| names.iter().position(|(known, _)| *known == name);
    for (name, needs) in names {
        if let Some(missing) = needs.iter().find(|it| index(it).is_none()) {
            let message = format!("component {name} depends on `{missing}`, which is none");
            return Err(Error::new(ErrorKind::Invalid, message).advise("Correct the name"));
        }
    }
    let mut levels: Vec<Vec<usize>> = Vec::new();
    let mut placed = vec![false; names.len()];
    while placed.contains(&false) {
        let ready = |at: usize| {
            let (_, needs) = names[at];
            !placed[at]
                && needs
                    .iter()
                    .all(|it| index(it).is_some_and(|at| placed[at]))
        };
        let level: Vec<usize> = (0..names.len()).filter(|at| ready(*at)).collect();
        if level.is_empty() {
            let left = (0..names.len()).filter(|at| !placed[*at]);
            let left: Vec<&str> = left.map(|at| names[at].0).collect();
            let message = format!(
                "components depend on each other in a circle: {}",
                left.join(", ")
            );
            return Err(Error::new(ErrorKind::Invalid, message).advise("Remove one dependency"));
        }
        for at in &level {
            placed[*at] = true;
        }
        levels.push(level);
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[(&str, &[&str])]) -> Result<Vec<Vec<usize>>> {
        let owned: Vec<(&str, Vec<String>)> = names
            .iter()
            .map(|(name, needs)| (*name, needs.iter().map(|it| (*it).to_owned()).collect()))
            .collect();
        let borrowed: Vec<(&str, &[String])> = owned
            .iter()
            .map(|(name, needs)| (*name, &needs[..]))
            .collect();
        levels(&borrowed)
    }

    #[test]
    fn what_is_needed_comes_first() {
        let found = of(&[("web", &["db", "files"]), ("db", &[]), ("files", &["db"])]);
        assert_eq!(found.unwrap(), [vec![1], vec![2], vec![0]]);
    }

    #[test]
    fn circles_and_strangers_are_named() {
        let circle = of(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]).unwrap_err();
        assert!(circle.message().ends_with("a, b"), "{circle}");
        let stranger = of(&[("a", &["nobody"])]).unwrap_err();
        assert!(stranger.message().contains("`nobody`"), "{stranger}");
    }
}
