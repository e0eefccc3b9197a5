//! Calls that change a running lab or tell what happens in it.

use std::time::Duration;

use dfaas_model::{Change, NodeAction, Topology};
use serde_json::{Map, Value};

use crate::client::segment;
use crate::{
    CaptureOptions, Client, ControlError, EventStream, LinkInfo, NodeInfo, Partition, ReplyStream, paths,
};

impl Client {
    /// Stops, starts, pauses … a node and returns it. After a start, `wait` waits until its functions answer.
    ///
    /// # Errors
    /// Unknown node, a node that is not in the state for it, or one that does not come up.
    pub async fn change_node(
        &self,
        node: &str,
        action: NodeAction,
        wait: bool,
    ) -> Result<NodeInfo, ControlError> {
        let path = format!("{}/{}/{action}?ready={wait}", paths::NODES, segment(node));
        self.json("POST", &path, None).await
    }

    /// Changes what a node may use, by the keys and units of a topology file, and returns the node.
    ///
    /// # Errors
    /// Unknown node, bad value, or a limit that does not hold on this machine; then nothing has changed.
    pub async fn change_limits(
        &self,
        node: &str,
        limits: &Map<String, Value>,
    ) -> Result<NodeInfo, ControlError> {
        let path = format!("{}/{}/limits", paths::NODES, segment(node));
        self.json("PATCH", &path, self.body(limits)?).await
    }

    /// What passes a link from now on, as a pcapng file in parts of whole or broken blocks.
    ///
    /// # Errors
    /// Unknown link, or a kernel that refuses.
    pub async fn capture(&self, link: &str, options: &CaptureOptions) -> Result<ReplyStream, ControlError> {
        let mut query = format!("at={}", options.at.as_str());
        let mut add = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                query.push_str(&format!("&{key}={value}"));
            }
        };
        add("count", options.count.map(|it| it.to_string()));
        add("seconds", options.seconds.map(|it| it.to_string()));
        add("longest", options.longest.map(|it| it.to_string()));
        let path = format!("{}/{}/capture?{query}", paths::LINKS, segment(link));
        self.stream(&path).await
    }

    /// Moves a client's link to another switch or node, after `gap` without a carrier, and returns the link.
    ///
    /// # Errors
    /// Unknown nodes, or a client that cannot move there.
    pub async fn roam(&self, client: &str, to: &str, gap: Duration) -> Result<LinkInfo, ControlError> {
        let gap = gap.as_secs_f64();
        let path = format!(
            "{}/{}/move?to={}&gap={gap}",
            paths::NODES,
            segment(client),
            segment(to)
        );
        self.json("POST", &path, None).await
    }

    /// Makes the lab what `topology` says, or only tells what that would change.
    ///
    /// # Errors
    /// What cannot be changed while the lab runs (then nothing has been touched), or a step that failed.
    pub async fn apply(&self, topology: &Topology, dry_run: bool) -> Result<Vec<Change>, ControlError> {
        let path = format!("{}?dry_run={dry_run}", paths::APPLY);
        self.json("POST", &path, self.body(topology)?).await
    }

    /// Lets the traces and patterns that links replay begin anew, now.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn begin_replays(&self) -> Result<(), ControlError> {
        self.json("POST", paths::REPLAYS, None).await
    }

    /// The partitions in force.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn partitions(&self) -> Result<Vec<Partition>, ControlError> {
        self.json("GET", paths::PARTITIONS, None).await
    }

    /// Cuts every path between nodes of different groups and returns the partitions in force.
    ///
    /// # Errors
    /// Unknown nodes, groups that are none, or a kernel that cannot do it.
    pub async fn partition(&self, partition: &Partition) -> Result<Vec<Partition>, ControlError> {
        self.json("POST", paths::PARTITIONS, self.body(partition)?).await
    }

    /// Ends one partition, or all, and returns those still in force. One that is not in force is no error.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn heal(&self, partition: Option<&Partition>) -> Result<Vec<Partition>, ControlError> {
        let body = match partition {
            Some(partition) => self.body(partition)?,
            None => None,
        };
        self.json("DELETE", paths::PARTITIONS, body).await
    }

    /// What happens in the lab after event number `after`, as far as it is kept; from now on without a number.
    ///
    /// # Errors
    /// When the supervisor does not answer.
    pub async fn events(&self, after: Option<u64>) -> Result<EventStream, ControlError> {
        let path = match after {
            Some(after) => format!("{}?after={after}", paths::EVENTS),
            None => paths::EVENTS.to_owned(),
        };
        self.stream(&path).await.map(EventStream::new)
    }

    /// Returns when the lab and all its running nodes are ready: how many agents there are.
    ///
    /// # Errors
    /// [`ControlError::Refused`] with status 504 when they are not within `seconds`; the message says what is not.
    pub async fn wait_ready(&self, seconds: f64) -> Result<usize, ControlError> {
        let path = format!("{}?seconds={seconds}", paths::READY);
        self.json("POST", &path, None).await
    }
}
