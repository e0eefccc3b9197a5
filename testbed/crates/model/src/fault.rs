//! Every message this crate can give, one variant each.

use thiserror::Error;

/// What is wrong with a file.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is documented by the message it prints")]
pub enum Fault {
    // Files and YAML.
    #[error("cannot read {path}: {reason}")]
    CannotRead { path: String, reason: String },
    #[error("not valid YAML: {reason}")]
    Yaml { reason: String },
    #[error("the file holds {found}")]
    NotAMapping { found: String },
    #[error("cyclic include: {chain}")]
    CyclicInclude { chain: String },
    #[error("files include one another more than {limit} deep")]
    DeepInclude { limit: usize },
    // Shapes and values.
    #[error("{message}")]
    Value { message: String },
    #[error("expected {expected}, found {found}")]
    WrongType { expected: String, found: String },
    #[error("unknown key `{key}`")]
    UnknownKey { key: String },
    #[error("unknown value `{value}`")]
    UnknownChoice { value: String },
    #[error("missing key `{key}`")]
    MissingKey { key: String },
    #[error("duplicate key `{key}`")]
    DuplicateKey { key: String },
    #[error("{what} is not supported by this version")]
    NotSupported { what: String },
    #[error("key `{key}` is not for a node of kind {kind}")]
    KeyNotForKind { key: String, kind: String },
    #[error("`{what}` is {value}, but must be {range}")]
    OutOfRange {
        what: String,
        value: String,
        range: String,
    },
    #[error("nothing here is called `{name}`")]
    UnknownItem { name: String },
    // Names.
    #[error("`{name}` cannot be the name of {what}: {rule}")]
    BadName {
        name: String,
        what: String,
        rule: String,
    },
    #[error("duplicate node `{name}`")]
    DuplicateNode { name: String },
    #[error("node `{name}` has a count, but no `{{i}}` in its name")]
    CountWithoutIndex { name: String },
    #[error("more than {limit} nodes or links")]
    TooMany { limit: u64 },
    #[error("all copies together hold more than {limit} values")]
    TooBig { limit: u64 },
    #[error("the topology has no nodes")]
    NoNodes,
    #[error("node `{name}` has no kind")]
    NoKind { name: String },
    #[error("unknown node `{name}`")]
    UnknownNode { name: String },
    #[error("unknown strategy `{name}`")]
    UnknownStrategy { name: String },
    // Links.
    #[error("a link has {count} endpoints")]
    EndpointCount { count: usize },
    #[error("a link joins `{node}` with itself")]
    SelfLink { node: String },
    #[error("duplicate link `{name}`")]
    DuplicateLink { name: String },
    #[error("link `{name}` closes a loop of switches")]
    SwitchLoop { name: String },
    #[error("interface `{interface}` of `{node}` has two links")]
    InterfaceTaken { node: String, interface: String },
    #[error("interface name `{interface}` is {length} bytes long; Linux allows 15")]
    LongInterface { interface: String, length: usize },
    #[error("interface `{interface}` of `{node}` has no link")]
    UnlinkedInterface { node: String, interface: String },
    // Traces and tables.
    #[error("the trace {name} is empty")]
    EmptyTrace { name: String },
    #[error("a trace has no length")]
    TraceWithoutLength,
    #[error("a trace needs two rows or more")]
    TraceTooShort,
    #[error("a row of a trace has no values")]
    TraceHole,
    #[error("times must rise, but {time} follows {before}")]
    TraceGoesBack { time: String, before: String },
    #[error("a trace has more than {limit} points")]
    LongTrace { limit: usize },
    #[error("unknown column `{name}`")]
    UnknownColumn { name: String },
    #[error("a row has {found} cells, but {expected} columns have a heading")]
    WrongCellCount { found: usize, expected: usize },
    #[error("unknown preset `{name}`")]
    UnknownPreset { name: String },
    #[error("a table of round trips needs two sites or more")]
    NoSites,
    #[error("unknown site `{name}`")]
    UnknownSite { name: String },
    #[error("not valid XML: {reason}")]
    NotXml { reason: String },
    #[error("not valid GML: {reason}")]
    NotGml { reason: String },
    #[error("the file holds no {format} graph")]
    NotAGraph { format: String },
    #[error("{what} cannot be composed: {reason}")]
    CannotCollapse { what: String, reason: String },
    // Addresses.
    #[error("`{text}` is not an address with a prefix length")]
    BadAddress { text: String },
    #[error("`{text}` is not a hardware address")]
    BadMac { text: String },
    #[error("address {address} is given twice")]
    AddressClash { address: String },
    #[error("hardware address {mac} is given twice")]
    MacClash { mac: String },
    #[error("address {address} does not belong to {network}, the network of its segment")]
    ForeignAddress { address: String, network: String },
    #[error("networks {first} and {second} of different segments overlap")]
    OverlappingSegments { first: String, second: String },
    #[error("network {network} has no room for {interfaces} interfaces")]
    NoRoom { network: String, interfaces: usize },
    #[error("no addresses are left for a segment of {interfaces} interfaces")]
    NoAddresses { interfaces: usize },
    // Ports and volumes.
    #[error("`{text}` is not a port mapping")]
    BadPort { text: String },
    #[error("port {port} of this machine is published twice")]
    PortClash { port: String },
    #[error("`{text}` is not an uplink")]
    BadUplink { text: String },
    #[error("port {port} of the node leads to two places")]
    UplinkClash { port: u16 },
    #[error("`{text}` is not a volume")]
    BadVolume { text: String },
    // Scenarios.
    #[error("unknown parameter `{name}`")]
    UnknownParameter { name: String },
    #[error("parameter `{name}` is made of itself")]
    CyclicParameter { name: String },
    #[error("`{text}` is not a time")]
    BadTime { text: String },
    #[error("the scenario has no load")]
    NoLoad,
    #[error("duplicate flow `{name}`")]
    DuplicateFlow { name: String },
    #[error("unknown flow `{name}`")]
    UnknownFlow { name: String },
    #[error("unknown link `{name}`")]
    UnknownLink { name: String },
    #[error("function `{function}` is not deployed on any node")]
    UnknownFunction { function: String },
    #[error("`{from}` cannot reach `{to}` through the network")]
    Unreachable { from: String, to: String },
    #[error("{message}")]
    Contradiction { message: String },
    #[error("the matrix has {count} cells; {limit} are possible")]
    TooManyCells { count: usize, limit: usize },
    // Collections.
    #[error("the file cannot be used")]
    Unexplained,
    #[error("and {count} more")]
    More { count: usize },
    #[error("{text}")]
    Note { text: String },
}
