namespace SnapshotFlow.Tests.Client;

/// <summary>What <c>./snapshotflow up</c> says when it cannot; nothing is left running.</summary>
public sealed class NotStarting(ClientAndStack both)
{
    private string State => Path.Combine(Path.GetDirectoryName(both.Script)!, "another");

    [Theory]
    [InlineData("notaport")]
    [InlineData("70000")]
    [InlineData("0")]
    [InlineData("-1")]
    public async Task A_port_that_is_none_is_said_to_be_none(string port)
    {
        var (code, said) = await UpAsync("--api-port", port);
        Assert.Equal(1, code);
        Assert.Contains($"'{port}' is no port: write a number from 1 to 65535", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--api-port")]
    [InlineData("--postgres-port")]
    [InlineData("--temporal-port")]
    public async Task A_port_that_is_taken_is_said_before_anything_is_started(string option)
    {
        var (code, said) = await UpAsync(option, $"{both.Stack.Api.Port}");
        Assert.Equal(1, code);
        Assert.Equal($"error: {option} {both.Stack.Api.Port} is taken: something listens on 127.0.0.1:{both.Stack.Api.Port} already. Stop it, give another port, or none to have a free one\n", said);
    }

    [Fact]
    public async Task A_directory_that_another_stack_has_is_said_with_the_stack()
    {
        var (code, said) = await both.RunScriptAsync(new Dictionary<string, string?>(), "up", "--state", both.Stack.State.Directory);
        Assert.Equal(1, code);
        Assert.Contains($"a stack is already running in {both.Stack.State.Directory}: process {Environment.ProcessId}, API {both.Stack.Api}", said, StringComparison.Ordinal);
    }

    private Task<(int Code, string Said)> UpAsync(string option, string port) =>
        both.RunScriptAsync(new Dictionary<string, string?> { ["TEMPORAL_ADDRESS"] = null }, "up", "--state", State, option, port);
}
