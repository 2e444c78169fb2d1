using SnapshotFlow.Model;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>What a run did and when, in workflow time: for the query, the run's record and the search attribute <see cref="SearchAttributes.Step"/>.</summary>
/// <param name="changed">Called after every change.</param>
internal sealed class StepLog(Action changed)
{
    private readonly List<RunStep> steps = [];

    /// <summary>The step that began last.</summary>
    public Step Current { get; private set; }

    /// <summary>A copy of all steps so far, in the order they began.</summary>
    public IReadOnlyList<RunStep> All => [.. steps];

    /// <summary>Logs a step from its begin to its end or failure.</summary>
    public Task RunAsync(Step step, Func<Task> work) => RunAsync(step, null, null, async () =>
    {
        await work();
        return true;
    });

    /// <summary>Logs a step that is about one volume.</summary>
    public Task<T> RunAsync<T>(Step step, VolumeToCut volume, Func<Task<T>> work) => RunAsync(step, volume.Volume, volume.DeviceName, work);

    /// <summary>Begins a step that ends with <see cref="End"/>.</summary>
    public void Begin(Step step, string? detail) => Add(step, null, detail);

    /// <summary>Ends the latest step of that name.</summary>
    public void End(Step step) => Close(steps.FindLastIndex(s => s.Step == step), null);

    private async Task<T> RunAsync<T>(Step step, VolumeId? volume, string? detail, Func<Task<T>> work)
    {
        var index = Add(step, volume, detail);
        try
        {
            var result = await work();
            Close(index, null);
            return result;
        }
        catch (Exception e)
        {
            Close(index, Failures.Describe(e).Message);
            throw;
        }
    }

    private int Add(Step step, VolumeId? volume, string? detail)
    {
        if (Current != step || steps.Count == 0)
        {
            Current = step;
            Workflow.UpsertTypedSearchAttributes(SearchAttributes.Step.ValueSet(step.ToString()));
        }

        steps.Add(new(step, volume, detail, Workflow.UtcNow, null, null));
        changed();
        return steps.Count - 1;
    }

    private void Close(int index, string? error)
    {
        steps[index] = steps[index] with { EndedAt = Workflow.UtcNow, Error = error };
        changed();
    }
}
