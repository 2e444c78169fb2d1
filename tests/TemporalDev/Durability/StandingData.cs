using System.Globalization;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.OperatorService.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Client.Schedules;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>What is set up once and must still be there in the end: a namespace, search attributes, a schedule that went on all the time.</summary>
internal sealed class StandingData(TemporalClient client, Witness witness)
{
    private const string Namespace = "standing";
    private const string ScheduleId = "ticks";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    public async Task SetUpAsync()
    {
        var attributes = new AddSearchAttributesRequest { Namespace = "default" };
        attributes.SearchAttributes.Add(Journey.Progress.Name, IndexedValueType.Int);
        await client.Connection.OperatorService.AddSearchAttributesAsync(attributes);
        await client.Connection.WorkflowService.RegisterNamespaceAsync(new RegisterNamespaceRequest
        {
            Namespace = Namespace,
            Description = "registered before the first kill",
            WorkflowExecutionRetentionPeriod = Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(TimeSpan.FromDays(7)),
        });
        await client.CreateScheduleAsync(
            ScheduleId,
            new Schedule(
                ScheduleActionStartWorkflow.Create((Tick t) => t.RunAsync(), new WorkflowOptions("tick", CrashLoad.JourneyQueue) { TaskTimeout = TimeSpan.FromSeconds(2) }),
                new ScheduleSpec { Intervals = [new ScheduleIntervalSpec(Interval)] })
            {
                Policy = new SchedulePolicy { Overlap = ScheduleOverlapPolicy.AllowAll },
            });
    }

    /// <summary>Stops the schedule, so that what it has started can end.</summary>
    public Task StopAsync() => client.GetScheduleHandle(ScheduleId).PauseAsync("the test is over");

    public async Task CheckAsync(CancellationToken cancellationToken)
    {
        var described = await client.Connection.WorkflowService.DescribeNamespaceAsync(new DescribeNamespaceRequest { Namespace = Namespace });
        if (described.NamespaceInfo.Description != "registered before the first kill" || described.Config.WorkflowExecutionRetentionTtl.ToTimeSpan() != TimeSpan.FromDays(7))
        {
            witness.Accuse($"namespace {Namespace} is now {described}");
        }

        var attributes = await client.Connection.OperatorService.ListSearchAttributesAsync(new ListSearchAttributesRequest { Namespace = "default" });
        if (attributes.CustomAttributes.GetValueOrDefault(Journey.Progress.Name) != IndexedValueType.Int)
        {
            witness.Accuse($"the search attributes are now {attributes}");
        }

        await CheckTicksAsync(cancellationToken);
    }

    /// <summary>One run for every second from the first to the last: those that were missed while the server was down were caught up with.</summary>
    private async Task CheckTicksAsync(CancellationToken cancellationToken)
    {
        var times = new List<DateTimeOffset>();
        await foreach (var run in client.ListWorkflowsAsync($"TemporalScheduledById = '{ScheduleId}'").WithCancellation(cancellationToken))
        {
            times.Add(DateTimeOffset.Parse(run.Id["tick-".Length..], CultureInfo.InvariantCulture));
            if (run.Status != WorkflowExecutionStatus.Completed)
            {
                witness.Accuse($"{run.Id} is {run.Status}");
            }
        }

        times.Sort();
        for (var i = 1; i < times.Count; i++)
        {
            if (times[i] - times[i - 1] != Interval)
            {
                witness.Accuse($"the schedule started a workflow for {times[i - 1]:O} and the next one for {times[i]:O}");
            }
        }

        var schedule = await client.GetScheduleHandle(ScheduleId).DescribeAsync();
        if (times.Count < 2 || schedule.Info.NumActions != times.Count)
        {
            witness.Accuse($"the schedule has counted {schedule.Info.NumActions} actions, and {times.Count} runs are listed");
        }
    }
}
