using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>
/// What processes count. Counted in the workflow, where the outcome of a step is known also when nobody serves its queue, and by its meter, which is silent
/// while a history is replayed. The SDK adds namespace, task queue and type of the workflow as labels.
/// </summary>
public static class RunMetrics
{
    /// <summary>Name of the counter of undone steps. Labels: <c>step</c>, the activity that undoes; <c>result</c>, <c>succeeded</c> or <c>failed</c>.</summary>
    public const string Compensations = "snapshotflow.compensations";

    /// <summary>Name of the counter of ended runs. Labels: <c>result</c>, the <see cref="RunStatus"/>; <c>consistency</c>, of the image, empty without one.</summary>
    public const string Runs = "snapshotflow.runs";

    /// <summary>Name of the histogram, in seconds, of the time from the start of a run to its end. Label: <c>result</c>.</summary>
    public const string RunDuration = "snapshotflow.run.duration";

    /// <summary>Name of the histogram, in seconds, of how long guests stood still, as their hosts saw it.</summary>
    public const string FreezeDuration = "snapshotflow.freeze.duration";

    /// <summary>Name of the counter of freezes that the deadline ended before the run did.</summary>
    public const string LeaseExpirations = "snapshotflow.lease.expirations";

    /// <summary>Name of the histogram, in seconds, of the time between the first and the last cut of an image.</summary>
    public const string CutSkew = "snapshotflow.cut.skew";

    /// <summary>Name of the counter of things that runs could not remove. Label: <c>kind</c>, the activity that failed to.</summary>
    public const string Leftovers = "snapshotflow.leftovers";

    /// <summary>Counts an undo that has come to its end.</summary>
    internal static void Compensated(string step, bool succeeded) => Workflow.MetricMeter
        .CreateCounter<long>(Compensations, "{undo}", "Undone steps of runs that did not complete")
        .Add(1, new KeyValuePair<string, object>[] { new("step", step), new("result", succeeded ? "succeeded" : "failed") });

    /// <summary>Counts a run that has come to its end, with what it made and what it left.</summary>
    internal static void Ended(Progress run)
    {
        var meter = Workflow.MetricMeter;
        KeyValuePair<string, object> result = new("result", run.Status.ToText());
        meter.CreateCounter<long>(Runs, "{run}", "Runs that have ended").Add(1, [result, new("consistency", run.Evidence?.Consistency.ToText() ?? "")]);
        meter.CreateHistogram<double>(RunDuration, "s", "Time from the start of a run to its end").Record((Workflow.UtcNow - Workflow.Info.WorkflowStartTime).TotalSeconds, [result]);
        if (run.Evidence is { Cuts.Count: > 1 } evidence)
        {
            meter.CreateHistogram<double>(CutSkew, "s", "Time between the first and the last cut of an image").Record(evidence.CutSkew.TotalSeconds);
        }

        foreach (var left in run.Leftovers)
        {
            meter.CreateCounter<long>(Leftovers, "{thing}", "Things that runs could not remove").Add(1, [new("kind", left.Kind)]);
        }
    }

    /// <summary>Counts a freeze that is over.</summary>
    internal static void Thawed(QuiesceResult? frozen, UnquiesceResult thawed)
    {
        // A clock that was set back in between tells nothing, and a meter refuses what is negative: the thaw must not fail by that.
        if ((thawed.FrozenAt ?? frozen?.FrozenAt) is { } since && since <= thawed.ThawedAt)
        {
            Workflow.MetricMeter.CreateHistogram<double>(FreezeDuration, "s", "How long guests stood still").Record((thawed.ThawedAt - since).TotalSeconds);
        }

        if (thawed.LeaseExpired)
        {
            Workflow.MetricMeter.CreateCounter<long>(LeaseExpirations, "{freeze}", "Freezes that the deadline ended before the run did").Add(1);
        }
    }
}
