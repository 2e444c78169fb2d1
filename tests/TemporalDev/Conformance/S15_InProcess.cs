using SnapshotFlow.TemporalDev.Hosting;
using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Client;
using Temporalio.Client.Interceptors;
using Temporalio.Testing;
using Temporalio.Worker;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 15.3: an environment of one's own on a server in the same process.</summary>
public sealed class S15_InProcess
{
    [Fact]
    public async Task S15_3_An_environment_of_ones_own_skips_time_in_one_process()
    {
        await using var server = await TemporalDevServer.StartAsync(new ServerOptions { IsTestServer = true }, TestContext.Current.CancellationToken);
        var client = await TemporalClient.ConnectAsync(new(server.Address) { Interceptors = [new SkippingClient()] });
        await using var environment = new InProcessEnvironment(client);
        Assert.True(environment.SupportsTimeSkipping);
        using var worker = new TemporalWorker(client, new TemporalWorkerOptions("q").AddWorkflow<SleepWorkflow>());
        await worker.ExecuteAsync(
            async () =>
            {
                var month = TimeSpan.FromDays(30);
                var before = await environment.GetCurrentTimeAsync();
                Assert.InRange(await client.ExecuteWorkflowAsync((SleepWorkflow w) => w.RunAsync(month.TotalSeconds), new("month", "q")), month.TotalSeconds, month.TotalSeconds + 60);
                await environment.DelayAsync(TimeSpan.FromDays(1));
                Assert.InRange(await environment.GetCurrentTimeAsync() - before, month + TimeSpan.FromDays(1), month + TimeSpan.FromDays(1.01));
            },
            TestContext.Current.CancellationToken);
    }

    private sealed class InProcessEnvironment(ITemporalClient client) : WorkflowEnvironment(client)
    {
        public override bool SupportsTimeSkipping => true;

        private TestService Clock => Client.Connection.TestService;

        public override Task DelayAsync(TimeSpan delay, CancellationToken? cancellationToken = null) =>
            Clock.UnlockTimeSkippingWithSleepAsync(new() { Duration = Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(delay) });

        public override async Task<DateTime> GetCurrentTimeAsync() => (await Clock.GetCurrentTimeAsync(new())).Time.ToDateTime();
    }

    /// <summary>Lets time skip while the result of a started workflow is waited for.</summary>
    private sealed class SkippingClient : IClientInterceptor
    {
        public ClientOutboundInterceptor InterceptClient(ClientOutboundInterceptor nextInterceptor) => new Outbound(nextInterceptor);

        private sealed class Outbound(ClientOutboundInterceptor next) : ClientOutboundInterceptor(next)
        {
            public override async Task<WorkflowHandle<TWorkflow, TResult>> StartWorkflowAsync<TWorkflow, TResult>(StartWorkflowInput input)
            {
                var handle = await base.StartWorkflowAsync<TWorkflow, TResult>(input);
                return new SkippingHandle<TWorkflow, TResult>(handle.Client, handle.Id, handle.RunId, handle.ResultRunId, handle.FirstExecutionRunId);
            }
        }

        private sealed record SkippingHandle<TWorkflow, TResult>(
            ITemporalClient Client, string Id, string? RunId = null, string? ResultRunId = null, string? FirstExecutionRunId = null)
            : WorkflowHandle<TWorkflow, TResult>(Client, Id, RunId, ResultRunId, FirstExecutionRunId)
        {
            public override async Task<TLocalResult> GetResultAsync<TLocalResult>(bool followRuns = true, RpcOptions? rpcOptions = null)
            {
                await Client.Connection.TestService.UnlockTimeSkippingAsync(new());
                try
                {
                    return await base.GetResultAsync<TLocalResult>(followRuns, rpcOptions);
                }
                finally
                {
                    await Client.Connection.TestService.LockTimeSkippingAsync(new());
                }
            }
        }
    }
}
