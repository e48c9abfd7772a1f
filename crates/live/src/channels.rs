//! Who listens to what.

use std::collections::BTreeMap;

use mambafleet_protocol::RunId;
use mambafleet_web::{Broadcast, Bytes, Subscription};

use crate::messages::{HELLO, PAGE};

/// Messages that are kept for a client that is slow.
const KEPT: usize = 32;

/// Runs that are followed at a time; each is kept in memory.
pub(crate) const MOST: usize = 24;

/// What is listened to: a run, or what the newest one is.
pub(crate) type Topic = Option<RunId>;

/// A broadcast for each run that somebody listens to.
#[derive(Default)]
pub(crate) struct Channels(BTreeMap<Topic, Channel>);

#[derive(Clone)]
struct Channel {
    broadcast: Broadcast,
    /// Whether somebody came since the last message, who may have loaded the page before it.
    joined: bool,
}

impl Channels {
    /// Listens; `None` when too many runs are followed already.
    pub(crate) fn subscribe(&mut self, topic: Topic) -> Option<Subscription> {
        self.0.retain(|_, channel| channel.broadcast.clients() > 0);
        if self.0.len() >= MOST && !self.0.contains_key(&topic) {
            return None;
        }
        let channel = self
            .0
            .entry(topic)
            .or_insert_with(|| Channel { broadcast: Broadcast::new(KEPT, PAGE), joined: false });
        channel.joined = true;
        Some(channel.broadcast.subscribe(HELLO))
    }

    /// What is listened to, and whether somebody has joined since this was last asked.
    pub(crate) fn topics(&mut self) -> Vec<(Topic, bool)> {
        self.0.retain(|_, channel| channel.broadcast.clients() > 0);
        let topics = self.0.iter_mut();
        topics
            .map(|(topic, channel)| (topic.clone(), std::mem::take(&mut channel.joined)))
            .collect()
    }

    /// What is listened to.
    pub(crate) fn topics_heard(&self) -> Vec<Topic> {
        self.0.keys().cloned().collect()
    }

    /// All who listen.
    pub(crate) fn clients(&self) -> usize {
        self.0.values().map(|channel| channel.broadcast.clients()).sum()
    }

    /// Whether nobody listens.
    pub(crate) fn is_silent(&self) -> bool {
        self.clients() == 0
    }

    /// Sends to all who listen to one thing.
    pub(crate) fn send(&self, topic: &Topic, message: Bytes) {
        if let Some(channel) = self.0.get(topic) {
            channel.broadcast.send(message);
        }
    }

    /// Sends to everybody.
    pub(crate) fn send_all(&self, message: &Bytes) {
        self.0.values().for_each(|channel| channel.broadcast.send(message.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_runs_are_followed_and_who_leaves_makes_room() {
        let mut channels = Channels::default();
        let run = |number: usize| Some(RunId::new(format!("run-{number}")).unwrap());
        let mut inside: Vec<_> = (0..MOST).map(|n| channels.subscribe(run(n)).unwrap()).collect();
        assert!(channels.subscribe(run(MOST)).is_none());
        inside.push(channels.subscribe(run(0)).unwrap());
        assert_eq!(channels.topics().len(), MOST);
        inside.remove(1);
        assert!(channels.subscribe(run(MOST)).is_some());
        drop(inside);
        assert!(channels.is_silent() && channels.topics().is_empty());
    }

    #[test]
    fn who_joins_is_noticed_once() {
        let mut channels = Channels::default();
        let _one = channels.subscribe(None);
        assert_eq!(channels.topics(), [(None, true)]);
        assert_eq!(channels.topics(), [(None, false)]);
        let _two = channels.subscribe(None);
        assert_eq!(channels.topics(), [(None, true)]);
    }
}
