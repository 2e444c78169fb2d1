namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>
/// All runs of one workflow id, and the lock under which every transition of any of them happens. At most one of them is open, so
/// the lock is as fine as a lock per run; and starting, continuing as new, retrying and signal-with-start are each decided in one
/// place with nothing in between. Nobody holds two of these locks at once.
/// </summary>
internal sealed class WorkflowChain(string @namespace, string workflowId)
{
    public string Namespace { get; } = @namespace;

    public string WorkflowId { get; } = workflowId;

    public Lock Gate { get; } = new();

    /// <summary>The newest run. Null only before the first start.</summary>
    public Run? Current { get; set; }

    public Dictionary<string, Run> Runs { get; } = new(StringComparer.Ordinal);

    /// <summary>Completes when everything that has happened here so far is durable. Whoever tells a caller about state waits for it.</summary>
    public Task LastCommit { get; set; } = Task.CompletedTask;

    /// <summary>Set when the last run was deleted: the object is no longer in the registry and must not be used.</summary>
    public bool Removed { get; set; }

    public void Add(Run run)
    {
        Runs.Add(run.RunId, run);
        Current = run;
    }
}
