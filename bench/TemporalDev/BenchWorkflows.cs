using Temporalio.Activities;
using Temporalio.Workflows;

namespace SnapshotFlow.Bench.TemporalDev;

/// <summary>A workflow that runs activities at the same time and ends.</summary>
[Workflow]
public class FanOut
{
    [WorkflowRun]
    public async Task<int> RunAsync(int activities)
    {
        var options = new ActivityOptions { StartToCloseTimeout = TimeSpan.FromMinutes(1) };
        var results = await Workflow.WhenAllAsync(Enumerable.Range(0, activities).Select(i => Workflow.ExecuteActivityAsync((BenchActivities a) => a.Return(i), options)));
        return results.Sum();
    }
}

/// <summary>A workflow that stays open with a timer.</summary>
[Workflow]
public class Parked
{
    [WorkflowRun]
    public Task RunAsync() => Workflow.DelayAsync(TimeSpan.FromDays(1));

    [WorkflowQuery]
    public bool IsParked() => true;
}

public sealed class BenchActivities
{
    [Activity]
    public int Return(int value) => value;
}
