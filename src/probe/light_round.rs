//! Sends a small round of a watch. Must not know what the answers mean.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::asker::Asker;
use super::dns_question::DnsQuestion;
use super::schedule::invented_label;
use crate::verdicts::observations::{AskedQuery, QueryOutcome};
use crate::watching::{Focus, LightQuery, RoundPlan};

/// Time between two queries of a round, so that a round is no burst.
const EVERY: Duration = Duration::from_millis(20);

/// Time limit of one query. CoreDNS's `forward` gives a server up to 2 s, and then answers by another one.
const WAIT: Duration = Duration::from_millis(2_500);

/// Time limit of a round: two tries of each query, and the pauses between them.
const ROUND_MAX: Duration = Duration::from_secs(8);

/// Number of times that a query is sent until it is answered, so that no round rests on one packet.
const TRIES: usize = 2;

/// The result of a round.
#[derive(Debug)]
pub struct LightRound {
    /// The queries with their outcomes.
    pub asked: Vec<AskedQuery>,
    /// The number of queries sent.
    pub sent: u32,
}

/// Sends at most `queries_max` queries of a round, and waits for their answers.
pub async fn send_round(plan: &RoundPlan, round: usize, focus: &Focus, queries_max: u32) -> LightRound {
    let asker = &Asker::new(queries_max, Instant::now() + ROUND_MAX);
    let queries = plan.queries(round, focus, invented_label);
    let asked = queries.into_iter().zip(0_u32..).map(|(query, position)| async move {
        sleep(EVERY * position).await;
        send(asker, &query).await
    });
    let asked = join_all(asked).await.into_iter().flatten().collect();
    LightRound { asked, sent: asker.sent() }
}

/// Sends a query until it is answered.
async fn send(asker: &Asker, query: &LightQuery) -> Vec<AskedQuery> {
    let LightQuery { purpose, server, via, name, kind } = query.clone();
    let question = DnsQuestion::new(&name, kind);
    let mut tries = Vec::new();
    for _ in 0..TRIES {
        let (took, outcome) = asker.ask(server, via, &question, WAIT).await;
        let is_answered = matches!(outcome, QueryOutcome::Answer(_));
        tries.push(AskedQuery { purpose, server, via, name: name.clone(), kind, edns: None, took, outcome });
        if is_answered {
            break;
        }
    }
    tries
}
