use crate::web_address::WebAddress;

/// How an OpenAI-compatible endpoint differs from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI, and every endpoint that is not known otherwise.
    OpenAi,
    /// GLM of Z.ai and Zhipu.
    Glm,
    /// Kimi of Moonshot.
    Kimi,
    /// OpenRouter.
    OpenRouter,
    /// Ollama.
    Ollama,
    /// LM Studio.
    LmStudio,
    /// vLLM.
    Vllm,
    /// The server of llama.cpp.
    LlamaCpp,
    /// DeepSeek.
    DeepSeek,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Dialect; 9] = [
        Dialect::OpenAi,
        Dialect::Glm,
        Dialect::Kimi,
        Dialect::OpenRouter,
        Dialect::Ollama,
        Dialect::LmStudio,
        Dialect::Vllm,
        Dialect::LlamaCpp,
        Dialect::DeepSeek,
    ];

    /// The word for it in the file.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::OpenAi => "openai",
            Dialect::Glm => "glm",
            Dialect::Kimi => "kimi",
            Dialect::OpenRouter => "openrouter",
            Dialect::Ollama => "ollama",
            Dialect::LmStudio => "lmstudio",
            Dialect::Vllm => "vllm",
            Dialect::LlamaCpp => "llamacpp",
            Dialect::DeepSeek => "deepseek",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|dialect| dialect.name() == word)
    }

    /// The dialect that is spoken at an address: by its host, else by the usual ports of local endpoints.
    pub(crate) fn of(address: &WebAddress<'_>) -> Dialect {
        const HOSTS: [(&str, Dialect); 7] = [
            ("z.ai", Dialect::Glm),
            ("bigmodel.cn", Dialect::Glm),
            ("moonshot.ai", Dialect::Kimi),
            ("moonshot.cn", Dialect::Kimi),
            ("openrouter.ai", Dialect::OpenRouter),
            ("deepseek.com", Dialect::DeepSeek),
            ("openai.com", Dialect::OpenAi),
        ];
        let host = address.host.to_ascii_lowercase();
        let is_of = |domain: &str| {
            host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        if let Some((_, dialect)) = HOSTS.into_iter().find(|(domain, _)| is_of(domain)) {
            return dialect;
        }
        match address.port {
            Some("11434") => Dialect::Ollama,
            Some("1234") => Dialect::LmStudio,
            Some("8000") => Dialect::Vllm,
            Some("8080") => Dialect::LlamaCpp,
            _ => Dialect::OpenAi,
        }
    }
}
