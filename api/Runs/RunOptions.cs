namespace SnapshotFlow.Api.Runs;

/// <summary>How long callers are kept waiting. Bound to the section <c>Runs</c>.</summary>
internal sealed class RunOptions
{
    /// <summary>
    /// Longest wait for a worker to accept or refuse a new run, or to plan one. Then the answer is 503 and a run without an idempotency key is withdrawn.
    /// Default 60 s: longer than the checks may take together, with their retries.
    /// </summary>
    public TimeSpan AcceptTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Longest wait for a running workflow to say where it stands; then its record answers. Default 2 s.</summary>
    public TimeSpan ProgressTimeout { get; set; } = TimeSpan.FromSeconds(2);
}
