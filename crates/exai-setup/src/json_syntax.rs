//! What counts as JSON, for files of clients and for pasted blocks alike.

use jsonc_parser::ParseOptions;

/// JSON as its standard has it or, if it is `relaxed`, with comments and commas before a closing bracket.
pub(crate) fn parse_options(relaxed: bool) -> ParseOptions {
    ParseOptions {
        allow_comments: relaxed,
        allow_loose_object_property_names: false,
        allow_trailing_commas: relaxed,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}
