//! Which model is meant by a name. Pure: what the providers offer is known here.

use exai_config::{Config, ModelAlias};

use super::candidate::{Candidate, KnownModel, ProviderModel};
use super::error::ModelError;
use super::lists::Offer;

/// How many names are looked at for one that is alike.
const MAX_COMPARED: usize = 4000;

/// The word that leaves the choice to exai.
pub const AUTO: &str = "auto";
/// The word for the MCP client itself.
pub const CLIENT: &str = "client";

/// The providers whose offers [`choose`] needs to know: their places in `config.providers`.
pub(super) fn providers_for(wanted: &str, config: &Config) -> Vec<usize> {
    let place =
        |name: &str| config.providers.iter().position(|provider| provider.name.eq_ignore_ascii_case(name));
    let all = || (0..config.providers.len()).collect();
    if wanted == CLIENT {
        return Vec::new();
    }
    if wanted == AUTO {
        let mut places: Vec<usize> = config
            .ai
            .models
            .iter()
            .filter(|named| *named != AUTO)
            .flat_map(|named| providers_for(named, config))
            .collect();
        places.sort_unstable();
        places.dedup();
        return if config.ai.models.is_empty() { all() } else { places };
    }
    if let Some(alias) = config.find_model(wanted) {
        return place(&alias.provider).into_iter().collect();
    }
    match wanted.split_once('/').and_then(|(provider, _)| place(provider)) {
        Some(place) => vec![place],
        None => all(),
    }
}

/// The candidates for a name, the best first. `auto` gives several.
pub(super) fn choose(wanted: &str, config: &Config, offers: &[Offer]) -> Result<Vec<Candidate>, ModelError> {
    if wanted != AUTO {
        return choose_named(wanted, config, offers).map(|candidate| vec![candidate]);
    }
    let (found, missing): (Vec<_>, Vec<_>) = if config.ai.models.is_empty() {
        (offers.iter().filter_map(first_of).map(Candidate::Provider).collect(), Vec::new())
    } else {
        let named = config.ai.models.iter().filter(|named| *named != AUTO);
        let (found, missing): (Vec<_>, Vec<_>) =
            named.map(|named| choose_named(named, config, offers)).partition(Result::is_ok);
        (found.into_iter().flatten().collect(), missing.into_iter().filter_map(Result::err).collect())
    };
    if !found.is_empty() {
        return Ok(found);
    }
    if let Some(error) = missing.into_iter().next() {
        return Err(error);
    }
    if config.providers.is_empty() {
        return Err(ModelError::NoProvider);
    }
    let failures = offers.iter().filter_map(|offer| offer.failure.as_ref()).map(ToString::to_string);
    Err(ModelError::NothingOffered { failures: failures.collect() })
}

fn choose_named(wanted: &str, config: &Config, offers: &[Offer]) -> Result<Candidate, ModelError> {
    if wanted == CLIENT {
        return Ok(Candidate::Client);
    }
    if config.providers.is_empty() {
        return Err(ModelError::NoProvider);
    }
    let of = |name: &str| offers.iter().find(|offer| offer.provider.name.eq_ignore_ascii_case(name));
    if let Some(alias) = config.find_model(wanted) {
        let offer = of(&alias.provider).ok_or_else(|| unknown(wanted, config, offers))?;
        return Ok(candidate(offer, known_of(alias)));
    }
    if let Some((name, id)) = wanted.split_once('/')
        && let Some(offer) = of(name)
    {
        let listed = offer.models.iter().any(|model| model.id == id);
        // An endpoint may have more than it lists; `models` of the provider is all that it may be asked for.
        if listed || (offer.provider.models.is_empty() && !id.is_empty()) {
            return Ok(candidate(offer, KnownModel::new(id)));
        }
        return Err(unknown(wanted, config, offers));
    }
    let having = |is_it: &dyn Fn(&str) -> bool| -> Vec<(&Offer, &KnownModel)> {
        let all = offers.iter().flat_map(|offer| offer.models.iter().map(move |model| (offer, model)));
        all.filter(|(_, model)| is_it(&model.id)).collect()
    };
    let mut found = having(&|id| id == wanted);
    if found.is_empty() {
        found = having(&|id| id.eq_ignore_ascii_case(wanted));
    }
    match found[..] {
        [(offer, model)] => Ok(candidate(offer, model.clone())),
        [] => Err(unknown(wanted, config, offers)),
        _ => {
            let mut providers: Vec<String> =
                found.iter().map(|(offer, _)| offer.provider.name.clone()).collect();
            providers.dedup();
            Err(ModelError::AmbiguousModel { wanted: wanted.to_owned(), providers })
        }
    }
}

fn known_of(alias: &ModelAlias) -> KnownModel {
    KnownModel {
        context: alias.context,
        max_output: alias.max_output,
        vision: alias.vision,
        thinking: alias.thinking,
        ..KnownModel::new(&alias.id)
    }
}

/// A candidate of an offer; what is not known of the model is taken from the list.
fn candidate(offer: &Offer, model: KnownModel) -> Candidate {
    let listed = offer.models.iter().find(|listed| listed.id == model.id);
    let model = match listed {
        Some(listed) => model.or(listed),
        None => model,
    };
    Candidate::Provider(ProviderModel {
        provider: offer.provider.clone(),
        credentials: offer.credentials.clone(),
        model,
    })
}

/// The model of a provider that `auto` takes: the first that makes texts, for an endpoint with several in reach one that is in
/// memory already.
fn first_of(offer: &Offer) -> Option<ProviderModel> {
    let is_named = !offer.provider.models.is_empty();
    let model = offer.models.iter().find(|model| is_named || !model.is_other_kind)?;
    Some(ProviderModel {
        provider: offer.provider.clone(),
        credentials: offer.credentials.clone(),
        model: model.clone(),
    })
}

fn unknown(wanted: &str, config: &Config, offers: &[Offer]) -> ModelError {
    let aliases = config.models.iter().map(|alias| alias.name.clone());
    let listed = offers.iter().flat_map(|offer| {
        offer
            .models
            .iter()
            .flat_map(|model| [model.id.clone(), format!("{}/{}", offer.provider.name, model.id)])
    });
    ModelError::UnknownModel { wanted: shown(wanted), nearest: nearest(wanted, aliases.chain(listed)) }
}

/// A name as far as it is shown.
fn shown(wanted: &str) -> String {
    wanted.chars().filter(|char| !char.is_control()).take(100).collect()
}

/// The name that is the most alike, if any is alike at all: at most a third of its letters differ, or one holds the other.
fn nearest(wanted: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let wanted: Vec<char> = shown(wanted).to_lowercase().chars().collect();
    let text: String = wanted.iter().collect();
    let distance_of = |name: String| {
        let lower = name.to_lowercase();
        let distance = distance(&wanted, &lower.chars().take(200).collect::<Vec<_>>());
        let is_part = text.chars().count() >= 3 && (lower.contains(&text) || text.contains(&lower));
        (is_part || distance * 3 <= wanted.len()).then_some((distance, name))
    };
    names.take(MAX_COMPARED).filter_map(distance_of).min().map(|(_, name)| name)
}

/// How many letters must be inserted, removed or replaced to make one text of the other (Levenshtein).
fn distance(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, same) in other.iter().map(|other| other == letter).enumerate() {
            let replaced = diagonal + usize::from(!same);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use exai_config::provider::Credentials;
    use exai_config::{AiSettings, Home};

    use super::super::samples::provider;
    use super::*;

    /// Two providers: `a` lists an embedding model and two others, `b` may be asked for one model only.
    fn scene(auto: &[&str]) -> (Config, Vec<Offer>) {
        let mut b = provider("b", "https://b.example/v1");
        b.models = vec!["same".to_owned()];
        let providers = vec![provider("a", "https://a.example/v1"), b];
        let alias = ModelAlias {
            name: "fast".to_owned(),
            provider: "A".to_owned(),
            id: "z-ai/glm-5".to_owned(),
            context: Some(7),
            max_output: None,
            vision: None,
            thinking: None,
        };
        let listed = |id: &str| KnownModel { context: Some(100), max_output: Some(9), ..KnownModel::new(id) };
        let lists = [vec![listed("nomic-embed"), listed("z-ai/glm-5"), listed("same")], vec![listed("same")]];
        let offer = |(provider, models): (&exai_config::Provider, Vec<KnownModel>)| Offer {
            provider: Arc::new(provider.clone()),
            credentials: Ok(Credentials { key: None, headers: Vec::new() }),
            models,
            failure: None,
        };
        let offers = providers.iter().zip(lists).map(offer).collect();
        let mut config = blank();
        config.ai = AiSettings {
            models: auto.iter().map(|name| (*name).to_owned()).collect(),
            ..AiSettings::default()
        };
        config.providers = providers;
        config.models = vec![alias];
        (config, offers)
    }

    fn blank() -> Config {
        exai_config::load(&Home::at(Path::new("/no/such/home").to_owned())).unwrap()
    }

    /// The names of the candidates, or the error.
    fn chosen(wanted: &str, auto: &[&str]) -> Result<Vec<String>, ModelError> {
        let (config, offers) = scene(auto);
        let places = providers_for(wanted, &config);
        let offers: Vec<Offer> = places.into_iter().map(|place| offers[place].clone()).collect();
        let name = |candidate: &Candidate| match candidate {
            Candidate::Client => "the client".to_owned(),
            Candidate::Provider(model) => model.name(),
        };
        choose(wanted, &config, &offers).map(|candidates| candidates.iter().map(name).collect())
    }

    #[test]
    fn names_lead_to_models() {
        for (wanted, auto, expected) in [
            ("auto", &[][..], vec!["a/z-ai/glm-5", "b/same"]),
            ("auto", &["b/same", "fast", "client"], vec!["b/same", "a/z-ai/glm-5", "the client"]),
            ("auto", &["gone/x", "fast"], vec!["a/z-ai/glm-5"]),
            ("auto", &["auto", "fast"], vec!["a/z-ai/glm-5"]),
            ("client", &[], vec!["the client"]),
            ("fast", &[], vec!["a/z-ai/glm-5"]),
            ("FAST", &[], vec!["a/z-ai/glm-5"]),
            ("z-ai/glm-5", &[], vec!["a/z-ai/glm-5"]),
            ("Z-AI/GLM-5", &[], vec!["a/z-ai/glm-5"]),
            ("a/z-ai/glm-5", &[], vec!["a/z-ai/glm-5"]),
            ("A/not-listed", &[], vec!["a/not-listed"]),
            ("b/same", &[], vec!["b/same"]),
        ] {
            assert_eq!(chosen(wanted, auto).unwrap(), expected, "{wanted} {auto:?}");
        }
    }

    #[test]
    fn a_name_that_leads_nowhere_is_explained() {
        let unknown = |wanted: &str| match chosen(wanted, &[]) {
            Err(ModelError::UnknownModel { nearest, .. }) => nearest,
            other => panic!("{other:?}"),
        };
        assert_eq!(unknown("fsat2"), None);
        assert_eq!(unknown("fastt").as_deref(), Some("fast"));
        assert_eq!(unknown("glm-5").as_deref(), Some("z-ai/glm-5"));
        assert_eq!(unknown("b/other"), None);
        assert_eq!(unknown("z-ai/glm5").as_deref(), Some("z-ai/glm-5"));
        let error = chosen("same", &[]).unwrap_err();
        assert_eq!(error.to_string(), "several providers have a model \"same\": a, b");
        assert!(matches!(chosen("auto", &["gone/x"]), Err(ModelError::UnknownModel { .. })));
        let none = choose("auto", &blank(), &[]).unwrap_err();
        assert_eq!(none, ModelError::NoProvider);
        assert_eq!(choose("x", &blank(), &[]).unwrap_err(), ModelError::NoProvider);
        assert_eq!(choose("client", &blank(), &[]).unwrap(), [Candidate::Client]);
    }

    #[test]
    fn the_file_knows_more_than_the_list() {
        let (config, offers) = scene(&[]);
        let Candidate::Provider(model) = choose_named("fast", &config, &offers).unwrap() else { panic!() };
        assert_eq!((model.model.context, model.model.max_output), (Some(7), Some(9)));
    }

    #[test]
    fn distances_are_counted_in_letters() {
        for (one, other, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "", 3),
            ("ab", "ba", 2),
            ("kitten", "sitting", 3),
        ] {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(distance(&letters(one), &letters(other)), expected, "{one} {other}");
        }
    }
}
