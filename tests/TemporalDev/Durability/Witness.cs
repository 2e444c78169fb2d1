using System.Collections.Concurrent;
using Temporalio.Api.History.V1;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>What clients and workers were told. Whatever contradicts it later is a violation.</summary>
internal sealed class Witness
{
    private readonly ConcurrentDictionary<(string RunId, long EventId), HistoryEvent> seen = new();
    private readonly ConcurrentQueue<string> violations = new();

    public int SeenEvents => seen.Count;

    public IReadOnlyCollection<string> Violations => violations;

    /// <summary>Somebody was shown these events. An event never changes after that.</summary>
    public void See(string runId, IEnumerable<HistoryEvent> events)
    {
        foreach (var e in events)
        {
            var before = seen.GetOrAdd((runId, e.EventId), e);
            if (!before.Equals(e))
            {
                Accuse($"event {e.EventId} of run {runId} is now {e}, and was {before}");
            }
        }
    }

    /// <summary>The events of a run that somebody was shown and that its final history lacks.</summary>
    public void CompareWithFinal(string runId, IReadOnlyCollection<HistoryEvent> final)
    {
        See(runId, final);
        if (seen.Keys.Where(k => k.RunId == runId).Select(k => k.EventId).DefaultIfEmpty().Max() > final.Count)
        {
            Accuse($"run {runId} ends with event {final.Count}, and somebody saw later ones");
        }
    }

    public void Accuse(string violation) => violations.Enqueue(violation);
}
