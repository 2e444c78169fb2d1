using SnapshotFlow.Model;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>
/// What has to be undone if the run does not complete. An undo is pushed before its step, because a failed step may have half happened. Undoing runs newest
/// first, goes on after an undo that fails, and reports exactly what is left. Undos must run under a token of their own: the workflow's is cancelled when
/// they matter most.
/// </summary>
internal sealed class Compensation
{
    private readonly List<Undo> undos = [];

    /// <summary>Which undos failed, in the order they were tried.</summary>
    public List<Leftover> Leftovers { get; } = [];

    /// <summary>Pushes an undo.</summary>
    /// <param name="kind">Names it in the leftovers: the activity that undoes.</param>
    /// <param name="subject">What would be left if it failed.</param>
    /// <param name="undo">An idempotent activity call that also succeeds when there is nothing to undo.</param>
    public void Push(string kind, string subject, Func<Task> undo) => undos.Add(new(kind, subject, undo));

    /// <summary>Forgets the undos of a kind: their steps have been undone in the normal course of the run.</summary>
    public void Discard(string kind) => undos.RemoveAll(u => u.Kind == kind);

    /// <summary>Runs the undos of one kind now and alone, ahead of their turn.</summary>
    public Task RunFirstAsync(string kind) => RunAsync(undos.Where(u => u.Kind == kind).ToList());

    /// <summary>Runs what is left, newest first; neighbours of the same kind at once.</summary>
    public async Task RunAllAsync()
    {
        while (undos.Count > 0)
        {
            var kind = undos[^1].Kind;
            var first = undos.FindLastIndex(u => u.Kind != kind) + 1;
            await RunAsync(undos.Skip(first).Reverse().ToList());
        }
    }

    private async Task RunAsync(IReadOnlyList<Undo> group)
    {
        undos.RemoveAll(group.Contains);
        await Workflow.WhenAllAsync(group.Select(RunAsync));
    }

    private async Task RunAsync(Undo undo)
    {
        try
        {
            await undo.Run();
            RunMetrics.Compensated(undo.Kind, succeeded: true);
        }
        // Not only failures that were meant: a bug in one undo must not keep the others from running.
        catch (Exception e)
        {
            Leftovers.Add(new(undo.Kind, undo.Subject, Failures.Describe(e).Message));
            RunMetrics.Compensated(undo.Kind, succeeded: false);
        }
    }

    private sealed record Undo(string Kind, string Subject, Func<Task> Run);
}
