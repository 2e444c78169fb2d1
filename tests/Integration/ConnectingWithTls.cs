using System.Net;
using System.Net.Sockets;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;
using Temporalio.Api.Enums.V1;

namespace SnapshotFlow.Tests.Integration;

/// <summary>A Temporal behind mutual TLS and an API key, as Temporal Cloud is, reached by the standard variables alone.</summary>
public sealed class ConnectingWithTls(RunningStack running)
{
    private const string Key = "the-key-of-this-test";
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_process_gets_in_with_certificate_and_key_and_none_without()
    {
        var stack = running.Stack;
        var directory = Directory.CreateTempSubdirectory("snapshotflow-tls-");
        try
        {
            await using var front = await TlsFrontend.StartAsync(stack.Temporal.Environment["TEMPORAL_ADDRESS"]!, Key, directory.FullName);
            var environment = new Dictionary<string, string?>(stack.Temporal.Environment)
            {
                ["TEMPORAL_ADDRESS"] = front.Address,
                ["TEMPORAL_TLS"] = "true",
                ["TEMPORAL_TLS_SERVER_CA_CERT_PATH"] = Path.Combine(directory.FullName, "ca.pem"),
                ["TEMPORAL_TLS_CLIENT_CERT_PATH"] = Path.Combine(directory.FullName, "client.pem"),
                ["TEMPORAL_TLS_CLIENT_KEY_PATH"] = Path.Combine(directory.FullName, "client.key"),
                ["TEMPORAL_API_KEY"] = Key,
            };

            var (code, said) = await SetupAsync(environment);
            Assert.True(code == 0 && said.Contains("every search attribute is there", StringComparison.Ordinal), said);
            foreach (var (name, value) in new[] { ("TEMPORAL_API_KEY", "another"), ("TEMPORAL_TLS_CLIENT_CERT_PATH", (string?)null), ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", null) })
            {
                (code, said) = await SetupAsync(new(environment) { [name] = value, ["TEMPORAL_TLS_CLIENT_KEY_PATH"] = name == "TEMPORAL_TLS_CLIENT_CERT_PATH" ? null : environment["TEMPORAL_TLS_CLIENT_KEY_PATH"] });
                Assert.True(code != 0, $"{name} = {value}: {said}");
                Assert.DoesNotContain(Key, said, StringComparison.Ordinal);
            }

            await WorkerAsync(environment);
            await ApiAsync(environment);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private async Task WorkerAsync(Dictionary<string, string?> environment)
    {
        var backend = $"behind-tls-{Guid.NewGuid():N}@file";
        var root = Directory.CreateDirectory(Path.Combine(running.Stack.State.Directory, backend));
        var worker = await running.Stack.StartProcessAsync(
            new ChildCommand(backend, running.Stack.Programs.Workers, [])
            {
                Environment = new Dictionary<string, string?>(environment)
                {
                    ["Workers__Roles"] = "volume", ["Volume__Backends__0__Name"] = backend, ["Volume__Backends__0__Driver"] = "file", ["Volume__Backends__0__Root"] = root.FullName,
                },
            },
            Ct);
        try
        {
            var client = running.Stack.Temporal.Client;
            await Wait.UntilAsync($"the worker to ask for tasks (log {worker.LogFile})", Deadline, async token =>
            {
                worker.ThrowIfExited();
                var queue = await client.Connection.WorkflowService.DescribeTaskQueueAsync(
                    new() { Namespace = client.Options.Namespace, TaskQueue = new() { Name = Names.VolumeQueue(backend) }, TaskQueueType = TaskQueueType.Activity }, new() { CancellationToken = token });
                return queue.Pollers.Count > 0;
            }, Ct);
        }
        finally
        {
            await DevelopmentStack.StopProcessAsync(worker);
        }
    }

    private async Task ApiAsync(Dictionary<string, string?> environment)
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        var url = new Uri($"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}");
        probe.Stop();
        var command = running.Stack.ApiCommand();
        var own = new Dictionary<string, string?>(command.Environment) { ["ASPNETCORE_URLS"] = url.ToString() };
        foreach (var (name, value) in environment)
        {
            own[name] = value;
        }

        var api = await running.Stack.StartProcessAsync(command with { Name = $"api-{Guid.NewGuid():N}", Environment = own }, Ct);
        try
        {
            using var http = new HttpClient { BaseAddress = url };
            await Wait.UntilAsync($"the API to reach Temporal (log {api.LogFile})", Deadline, async token =>
            {
                api.ThrowIfExited();
                try
                {
                    return (await http.GetAsync(new Uri("/health/ready", UriKind.Relative), token)).StatusCode is HttpStatusCode.OK;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            }, Ct);
        }
        finally
        {
            await DevelopmentStack.StopProcessAsync(api);
        }
    }

    private async Task<(int Code, string Said)> SetupAsync(Dictionary<string, string?> environment)
    {
        var process = await running.Stack.StartProcessAsync(new ChildCommand($"setup-{Guid.NewGuid()}", running.Stack.Programs.Workers, ["setup"]) { Environment = environment }, Ct);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        patience.CancelAfter(Deadline);
        await process.WaitForExitAsync(patience.Token);
        return (process.ExitCode!.Value, await File.ReadAllTextAsync(process.LogFile, Ct));
    }
}
