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

    /// <summary>Counts an undo that has come to its end.</summary>
    internal static void Compensated(string step, bool succeeded) => Workflow.MetricMeter
        .CreateCounter<long>(Compensations, "{undo}", "Undone steps of runs that did not complete")
        .Add(1, new KeyValuePair<string, object>[] { new("step", step), new("result", succeeded ? "succeeded" : "failed") });
}
