using Microsoft.Extensions.Hosting;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Client.Schedules;
using Temporalio.Exceptions;

namespace SnapshotFlow.Workers;

/// <summary>
/// Has Temporal start a <see cref="ReconcileWorkflow"/> at every interval, one at a time. Registered by every control worker at its start: the first one makes
/// the schedule, the others bring it up to date. Whether it is paused is left as operators have set it.
/// </summary>
internal sealed class ReconcileSchedule(ITemporalClient client, WorkersConfiguration configuration) : IHostedService
{
    private readonly TimeSpan interval = configuration.Workers.ReconcileInterval;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await client.Connection.ConnectAsync();
        var rpc = new RpcOptions { CancellationToken = cancellationToken };
        try
        {
            await client.CreateScheduleAsync(Names.ReconcileSchedule, Wanted(), new() { Rpc = rpc });
        }
        catch (ScheduleAlreadyRunningException)
        {
            await client.GetScheduleHandle(Names.ReconcileSchedule).UpdateAsync(found => new(Wanted() with { State = found.Description.Schedule.State }), rpc);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private Schedule Wanted() => new(
        ScheduleActionStartWorkflow.Create(
            (ReconcileWorkflow w) => w.RunAsync(new ReconcileInput(interval)),
            new(Names.ReconcileSchedule, Names.ControlQueue)
            {
                // A look that hangs on something nobody foresaw must not be the last one.
                ExecutionTimeout = TimeSpan.FromHours(1),
            }),
        new() { Intervals = [new(interval)] })
    {
        // A look that was missed is made up for by the next one.
        Policy = new() { Overlap = ScheduleOverlapPolicy.Skip, CatchupWindow = interval < TimeSpan.FromSeconds(10) ? TimeSpan.FromSeconds(10) : interval },
    };
}
