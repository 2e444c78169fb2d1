using SnapshotFlow.Tests.TemporalDev.Durability;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.OperatorService.V1;
using Temporalio.Client;
using Temporalio.Client.Schedules;
using Temporalio.Common;
using static SnapshotFlow.Tests.TemporalDev.VisibilityServer;

namespace SnapshotFlow.Tests.TemporalDev;

/// <summary>A schedule with an action every second, on PostgreSQL, while the server is killed.</summary>
public sealed class ScheduleKills(SharedPostgres postgres)
{
    private const int Kills = 6;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_second_is_taken_exactly_once_although_the_server_is_killed()
    {
        Assert.SkipWhen(PrivatePostgres.Missing is not null, PrivatePostgres.Missing ?? "");
        await using var server = new DurableServer(await (await postgres.Cluster).CreateDatabaseAsync());
        await server.StartAsync(Token);
        var client = await TemporalClient.ConnectAsync(new TemporalClientConnectOptions(server.Address));
        await client.Connection.OperatorService.AddSearchAttributesAsync(
            new AddSearchAttributesRequest { Namespace = "default", SearchAttributes = { ["Project"] = IndexedValueType.Keyword } });
        var schedule = new Schedule(
            ScheduleActionStartWorkflow.Create((Wait wait) => wait.RunAsync(), new WorkflowOptions("wait", Queue)),
            new ScheduleSpec { Intervals = [new ScheduleIntervalSpec(TimeSpan.FromSeconds(1))] })
        {
            Policy = new SchedulePolicy { Overlap = ScheduleOverlapPolicy.AllowAll },
        };
        var red = new SearchAttributeCollection.Builder().Set(Project, "red").ToSearchAttributeCollection();
        var handle = await client.CreateScheduleAsync("s", schedule, new ScheduleOptions { TypedSearchAttributes = red });

        for (var kill = 0; kill < Kills; kill++)
        {
            var before = (await handle.DescribeAsync()).Info.NumActions;
            await Sdk.Until.TrueAsync(async () => (await handle.DescribeAsync()).Info.NumActions >= before + 2);
            await server.KillAsync();
            await server.StartAsync(Token);
        }

        await handle.PauseAsync();
        var description = await handle.DescribeAsync();
        var ids = new List<string>();
        await foreach (var run in client.ListWorkflowsAsync("TemporalScheduledById = 's' ORDER BY TemporalScheduledStartTime"))
        {
            ids.Add(run.Id);
        }

        var times = ids.Select(id => DateTimeOffset.Parse(id["wait-".Length..], System.Globalization.CultureInfo.InvariantCulture)).ToList();
        Assert.Equal(Enumerable.Range(0, times.Count).Select(second => times[0].AddSeconds(second)), times);
        Assert.Equal(ids.Count, description.Info.NumActions);
        Assert.Equal(0, description.Info.NumActionsMissedCatchupWindow);
        Assert.Equal("red", description.TypedSearchAttributes.Get(Project));
    }
}
