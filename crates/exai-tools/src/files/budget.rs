//! How the context of a model is shared out.

/// What of a model's context goes to what, in tokens. Files and history are parts of the content, and the rest of it is
/// for prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What is sent to the model.
    pub content: usize,
    /// What the model answers.
    pub response: usize,
    /// The files in the content.
    pub files: usize,
    /// The earlier turns in the content.
    pub history: usize,
    /// What the files that one call names may have together, so that there is room for those of later calls. More is
    /// answered with `code_too_large`.
    pub named_files: usize,
}

/// The shares for a context of so many tokens. The origin's rule.
pub fn budget(context_length: usize) -> Budget {
    let percent = |of: usize, share: usize| (of as u128 * share as u128 / 100) as usize;
    let is_large = context_length >= 300_000;
    let content = percent(context_length, if is_large { 80 } else { 60 });
    let files = percent(content, if is_large { 40 } else { 30 });
    let named_share = match context_length {
        1_000_000.. => 80,
        500_000.. => 70,
        _ => 60,
    };
    Budget {
        content,
        response: context_length - content,
        files,
        history: percent(content, if is_large { 40 } else { 50 }),
        named_files: percent(files, named_share),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_the_origins() {
        let table = [
            (0, [0, 0, 0, 0, 0]),
            (128_000, [76_800, 51_200, 23_040, 38_400, 13_824]),
            (299_999, [179_999, 120_000, 53_999, 89_999, 32_399]),
            (300_000, [240_000, 60_000, 96_000, 96_000, 57_600]),
            (500_000, [400_000, 100_000, 160_000, 160_000, 112_000]),
            (1_000_000, [800_000, 200_000, 320_000, 320_000, 256_000]),
        ];
        for (context, [content, response, files, history, named_files]) in table {
            assert_eq!(
                budget(context),
                Budget { content, response, files, history, named_files },
                "{context}"
            );
        }
        let most = budget(usize::MAX);
        assert_eq!(most.content + most.response, usize::MAX);
    }
}
